#!/usr/bin/env node
import { runCommand } from './framework/command.ts';
import { iptablesDiff } from './iptables/diff.ts';

await runCommand(iptablesDiff);
