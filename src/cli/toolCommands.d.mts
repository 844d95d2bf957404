export const TOOL_COMMANDS: Readonly<
  Record<'verify' | 'reproduce' | 'record' | 'pretrain' | 'bench' | 'card' | 'check', string>
>;
