/** Files of other tools and of old versions, told by their first bytes or their tensor names: what they are, and what would be right. */
import { fail } from '../lib/errors.ts';

/** What the names in PEFT's files begin with. */
export const PREFIX = 'base_model.model.';

const RIGHT =
  'give the folder that PeftModel.save_pretrained writes (adapter_config.json and adapter_model.safetensors)';

const ascii = (text: string) => [...text].map((char) => char.charCodeAt(0));

/** First bytes and what they mean. */
const SIGNATURES: readonly {
  readonly bytes: readonly number[];
  readonly is: string;
  readonly instead: string;
}[] = [
  {
    bytes: ascii('PK\x03\x04'),
    is: 'a zip archive, as torch.save (.pt, .bin, .ckpt) writes',
    instead: `in Python load it and save it with safe_serialization=True, or ${RIGHT}`,
  },
  {
    bytes: ascii('GGUF'),
    is: 'a GGUF file, as llama.cpp uses',
    instead: `convert the adapter from its original folder: ${RIGHT}`,
  },
  { bytes: [0x1f, 0x8b], is: 'compressed with gzip', instead: 'unpack it first' },
  {
    bytes: ascii('\x89HDF'),
    is: 'an HDF5 file, as Keras writes',
    instead: `Papilio reads PEFT adapters: ${RIGHT}`,
  },
  {
    bytes: ascii('version https://git-lfs'),
    is: 'a Git LFS pointer, not the file itself',
    instead: 'download it with git lfs pull or from the model page',
  },
  { bytes: ascii('<!'), is: 'a web page', instead: 'download the file itself, not the page about it' },
  {
    bytes: ascii('{'),
    is: 'text that begins with {',
    instead: 'the configuration belongs in adapter_config.json and the tensors in adapter_model.safetensors',
  },
];

/**
 * Refuses what is clearly no safetensors container.
 *
 * @throws PapilioError 'malformed-adapter' with what it is.
 */
export function refuseForeignBytes(file: Uint8Array): void {
  const isSafetensors = file[8] === 0x7b;
  if (isSafetensors) return;
  const known = SIGNATURES.find(({ bytes }) => bytes.every((byte, i) => file[i] === byte));
  if (known) fail('malformed-adapter', `The adapter's tensors are ${known.is}; ${known.instead}.`);
  // Protocol 2 to 5 of Python's pickle.
  if (file[0] === 0x80 && file[1]! >= 2 && file[1]! <= 5) {
    fail(
      'malformed-adapter',
      `The adapter's tensors are a Python pickle, which can run code when opened and is not read; in Python load it and save it with safe_serialization=True.`,
    );
  }
}

const OURS = `Papilio reads PEFT's names (${PREFIX}<module>.<parameter>)`;

/** Tensor names of other formats, the most telling first. */
const FORMATS: readonly { readonly name: RegExp; readonly is: string; readonly instead: string }[] = [
  {
    name: /\.oft_[rs](\.|$)/,
    is: 'belongs to OFT as PEFT stored it before 0.16, which cannot be converted',
    instead: 'train the adapter anew',
  },
  {
    name: /\.oft_(blocks|diag)$/,
    is: "is OFT as kohya's sd-scripts and LyCORIS have it, which turns the outputs and is another method than PEFT's",
    instead: `train the adapter anew; ${OURS}`,
  },
  {
    name: /^lycoris_|^(lora_(unet|te\d?|transformer)_.*\.)(hada_|lokr_|glora_|dora_scale)/,
    is: 'is named as LyCORIS names it',
    instead: `${OURS}; convert it with PEFT's scripts/convert_lycoris or train LoHa or LoKr in PEFT`,
  },
  {
    name: /^lora_(unet|te\d?|transformer)_|\.lora_(down|up)\.weight$/,
    is: "is named as kohya's sd-scripts or ComfyUI name it",
    instead: `${OURS}; diffusers can load it, and save_pretrained then writes PEFT's names`,
  },
  {
    name: /^(diffusion_model|model\.diffusion_model)\./,
    is: 'is named as ComfyUI names it',
    instead: `${OURS}; diffusers can load it, and save_pretrained then writes PEFT's names`,
  },
  {
    name: /^(unet|text_encoder(_2)?|transformer)\.|\.processor\.to_[qkvo](_out)?_lora\.|\.lora\.(down|up)\.weight$|_lora\.(down|up)\.weight$/,
    is: 'is named as diffusers names it',
    instead: `${OURS}; save the pipeline's component with save_pretrained of PEFT`,
  },
];

/**
 * Names what other tools and old versions write, instead of silently loading nothing.
 *
 * @param title the method that the configuration names
 * @throws PapilioError 'malformed-adapter' with the first telling name.
 */
export function refuseForeignNames(title: string, names: readonly string[]): void {
  for (const { name: pattern, is, instead } of FORMATS) {
    const found = names.find((name) => pattern.test(name));
    if (found !== undefined) fail('malformed-adapter', `The tensor ${shortened(found)} ${is}; ${instead}.`);
  }
  if (names.length > 0 && !names.some((name) => name.startsWith('base_model.'))) {
    fail(
      'malformed-adapter',
      `None of the ${names.length} tensor names begins with ${PREFIX} (the first is ${shortened(names[0]!)}), so PEFT would load nothing from this ${title} adapter; save it with PeftModel.save_pretrained.`,
    );
  }
}

const shortened = (name: string) => (name.length > 120 ? `${name.slice(0, 120)}…` : name);
