#!/usr/bin/env node
import { runCommand } from './framework/command.ts';
import { nftablesDiff } from './nftables/diff.ts';

await runCommand(nftablesDiff);
