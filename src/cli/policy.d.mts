export function withPolicy(html: string): string;
export function pageHeaders(html: string): Record<string, string>;
