/** @returns the bundle's path */
export function buildHost(root: string): Promise<string>;
