/** Types of server.mjs. */
export interface PageServer {
  /** Address with a slash at the end. */
  readonly url: string;
  close(): Promise<void>;
}
export function servePage(): Promise<PageServer>;
