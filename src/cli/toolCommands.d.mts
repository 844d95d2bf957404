export const TOOL_COMMANDS: Readonly<Record<'verify' | 'reproduce' | 'pretrain' | 'bench' | 'check', string>>;
