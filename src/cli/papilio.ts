/** The command line's entry. */
import process from 'node:process';
import { runCommand } from './commands.ts';

const code = await runCommand(process.argv.slice(2));
// A GPU instance keeps the event loop alive.
process.exit(code);
