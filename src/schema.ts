/** `papilio/schema`: zod for page and command line, with its sentences in the reader's language. */
export { z } from './lib/schema.ts';
