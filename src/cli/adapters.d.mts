/** Types of adapters.mjs, which stays plain JavaScript so that it runs before anything is built. */
export type Runtime = 'node' | 'deno';
export interface AdapterFacts {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly isFallback: boolean;
  readonly f16: boolean;
}
export interface WayToRun {
  readonly runtime: Runtime;
  readonly driver?: string;
  readonly adapter: AdapterFacts;
  readonly software: boolean;
}
export function swiftShaderIcd(): string | undefined;
export function denoBinary(root: string): string | undefined;
export function commandFor(
  root: string,
  runtime: Runtime,
  script: string,
  driver?: string,
): { command: string; args: string[]; env: Record<string, string | undefined> };
export function isSoftware(adapter: AdapterFacts): boolean;
export function findAdapters(root: string): Promise<WayToRun[]>;
