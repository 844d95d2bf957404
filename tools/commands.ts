/** The commands that only a clone has, loaded when called as those of the command line are. */
import type { CommandTable } from '../src/cli/commands.ts';
import { TOOL_COMMANDS } from '../src/cli/toolCommands.mjs';

const { verify, reproduce, record, pretrain, bench, card, check } = TOOL_COMMANDS;

export const tools: CommandTable = {
  verify: { summary: verify, load: () => import('./verify/verify.ts').then((m) => m.verifyCommand) },
  reproduce: { summary: reproduce, load: () => import('./reproduce.ts').then((m) => m.reproduceCommand) },
  record: { summary: record, load: () => import('./record.ts').then((m) => m.recordCommand) },
  pretrain: {
    summary: pretrain,
    load: () => import('./pretrain/pretrain.ts').then((m) => m.pretrainCommand),
  },
  bench: { summary: bench, load: () => import('./bench/bench.ts').then((m) => m.benchCommand) },
  card: { summary: card, load: () => import('./bench/card.ts').then((m) => m.cardCommand) },
  check: { summary: check, load: () => import('./verify/check.ts').then((m) => m.checkCommand) },
};
