#!/usr/bin/env node
import { runCommand } from './framework/command.ts';
import { iptablesParser } from './iptables/parser.ts';

await runCommand(iptablesParser);
