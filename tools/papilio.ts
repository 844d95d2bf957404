/** The entry of the tools' bundle. */
import process from 'node:process';
import { runCommand } from '../src/cli/commands.ts';
import { tools } from './commands.ts';

const code = await runCommand(process.argv.slice(2), tools);
// A GPU instance keeps the event loop alive.
process.exit(code);
