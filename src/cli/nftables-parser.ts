#!/usr/bin/env node
import { runCommand } from './framework/command.ts';
import { nftablesParser } from './nftables/parser.ts';

await runCommand(nftablesParser);
