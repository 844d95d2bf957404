/** Types of adapters.mjs, which stays plain JavaScript so that it runs before anything is built. */
type Runtime = 'node' | 'deno';
interface AdapterFacts {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly isFallbackAdapter: boolean;
}
interface WayToRun {
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
export function findAdapters(root: string): Promise<WayToRun[]>;
