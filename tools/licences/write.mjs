/** `npm run licences`: writes public/licences.txt, which the page links to. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { licenceList } from './licences.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
writeFileSync(join(root, 'public', 'licences.txt'), licenceList(root));
