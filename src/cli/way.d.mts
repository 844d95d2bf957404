/** See way.mjs. */
export interface Way {
  readonly runtime: 'node' | 'deno';
  readonly driver?: string | undefined;
}

export function chooseWay(
  runtime: string,
  rest: readonly string[],
  machine: { readonly hasDeno: boolean; readonly find: () => Promise<readonly Way[]> },
): Promise<(Way & { readonly refusal?: undefined }) | { readonly refusal: string }>;
