/**
 * The commands of tools/ by name, each with one line of help. Only a clone has them: the launcher builds them into a file of their own, beside the
 * command line, when one is asked for.
 */
export const TOOL_COMMANDS = {
  verify: 'hold adapters or models against figures that others computed',
  reproduce: 'run the presets and record their figures in docs/',
  record: 'record the run that the page shows before the first press',
  pretrain: 'make one of the embedded models from nothing',
  bench: 'speed and cost of a training step, beside LoRA and beside another engine',
  card: 'all that is to be measured on a GPU, in one go, beside the times by a data sheet',
  check: 'the adapter, and every kernel and gradient on it against float64 references',
};
