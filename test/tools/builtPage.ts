/** Builds the page before the first file: files run two at a time, and each serves what is built. */
import { servePage } from './server.mjs';

export default async function setup(): Promise<void> {
  await (await servePage()).close();
}
