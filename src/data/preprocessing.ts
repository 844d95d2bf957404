/**
 * What a model's own preprocessing does to a picture, read from preprocessor_config.json (and from timm's config.json) as transformers'
 * image processors read it: resize, centre crop, rescale, normalise. Training, "Run it", the Python project and the folder for
 * transformers.js all take it from here.
 */
import { within } from '../lib/budget.ts';
import { fail } from '../lib/errors.ts';
import { numberFrom, plainWords } from '../lib/json.ts';
import { facts, local, say } from '../lib/say.ts';

type Json = Readonly<Record<string, unknown>>;

export type Resize =
  | { readonly to: 'exact'; readonly width: number; readonly height: number }
  /** The shorter side to `edge`, the longer one in proportion, at most `longest`. */
  | { readonly to: 'shorter'; readonly edge: number; readonly longest?: number };

export interface Preprocessing {
  /** What comes out, and the model takes: width, height, 1 (grey) or 3 channels. */
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** Null: pictures keep their size and are only cut. */
  readonly resize: Resize | null;
  readonly resample: Resample;
  /** A rectangle of width × height is cut from the middle; what lies outside the picture is 0. */
  readonly crop: boolean;
  /** Blue, green, red instead of red, green, blue. */
  readonly bgr: boolean;
  /** x → (x − mean) / std per channel, for x in 0 … 1; rescaling is part of both. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** What was assumed, or could not be done as the file asks: sentences. */
  readonly notes: readonly string[];
  /** The files say something else, or nothing: a config of these steps has to go with the model. */
  readonly isAssumed: boolean;
}

/** What an image processor of transformers does where its config is silent (image_processing_*.py). */
interface Defaults {
  readonly size: number;
  /** A number as `size` is the shorter side, not a square. */
  readonly byShorterSide?: boolean;
  readonly resample: Resample;
  readonly crop?: number;
  readonly cropShare?: number;
  readonly mean?: readonly number[] | null;
  readonly std?: readonly number[];
  readonly bgr?: boolean;
}

const HALF = [0.5, 0.5, 0.5];
const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const CLIP = { mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711] };
const VIT: Defaults = { size: 224, resample: 'bilinear' };
const CLIP_LIKE: Defaults = { size: 224, byShorterSide: true, resample: 'bicubic', crop: 224, ...CLIP };
const MOBILE: Defaults = { size: 256, byShorterSide: true, resample: 'bilinear', crop: 224 };

const PROCESSORS: Readonly<Record<string, Defaults>> = {
  ViT: VIT,
  Siglip: { size: 224, resample: 'bicubic' },
  DeiT: { size: 256, resample: 'bicubic', crop: 224 },
  Beit: { size: 256, resample: 'bicubic', crop: 224 },
  CLIP: CLIP_LIKE,
  ChineseCLIP: CLIP_LIKE,
  Bit: CLIP_LIKE,
  ConvNext: { size: 384, byShorterSide: true, resample: 'bilinear', cropShare: 224 / 256 },
  Levit: { size: 224, byShorterSide: true, resample: 'bicubic', crop: 224, ...IMAGENET },
  PoolFormer: {
    size: 224,
    byShorterSide: true,
    resample: 'bicubic',
    crop: 224,
    cropShare: 0.9,
    ...IMAGENET,
  },
  MobileNetV1: MOBILE,
  MobileNetV2: MOBILE,
  MobileViT: { size: 224, byShorterSide: true, resample: 'bilinear', crop: 256, mean: null, bgr: true },
  EfficientNet: { size: 346, resample: 'nearest' },
  Pvt: { ...VIT, ...IMAGENET },
  ViTMSN: VIT,
};

/** Steps that are asked for and not done here. */
const otherSteps = (): Readonly<Record<string, string>> => ({
  do_pad: say`padding`,
  do_thumbnail: say`thumbnails`,
  do_align_long_axis: say`turning of the long axis`,
  do_image_splitting: say`splitting into tiles`,
  do_pan_and_scan: say`pan and scan`,
});

const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isSide = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 1;
const object = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});

interface Frame {
  readonly width: number;
  readonly height: number;
}

function frameOf(value: unknown): Frame | null {
  if (isSide(value)) return { width: value, height: value };
  if (Array.isArray(value) && value.length === 2 && value.every(isSide))
    return { height: value[0] as number, width: value[1] as number };
  const { width, height } = object(value);
  return isSide(width) && isSide(height) ? { width, height } : null;
}

/** Name of the processor's class without its suffixes: `CLIPFeatureExtractor` → `CLIP`. */
const classOf = (config: Json): string =>
  plainWords(config.image_processor_type ?? config.feature_extractor_type ?? '').replace(
    /(ImageProcessor|FeatureExtractor|Processor)(Fast|Pil)?$/,
    '',
  );

/** A config as transformers writes it, of what timm says in its model's config.json; null where it says nothing. */
function fromTimm(config: Json): Json | null {
  const timm = object(config.pretrained_cfg);
  const [, height, width] = Array.isArray(timm.input_size) ? (timm.input_size as unknown[]) : [];
  if (!isSide(height) || !isSide(width)) return null;
  const share = isNumber(timm.crop_pct) && timm.crop_pct > 0 ? timm.crop_pct : 0.875;
  const resample = RESAMPLES.indexOf(timm.interpolation as Resample);
  return {
    image_processor_type: 'BitImageProcessor',
    size: { shortest_edge: Math.floor(Math.min(width, height) / share) },
    crop_size: { width, height },
    resample: resample < 0 ? RESAMPLES.indexOf('bicubic') : resample,
    image_mean: timm.mean ?? IMAGENET.mean,
    image_std: timm.std ?? IMAGENET.std,
  };
}

/** `size` and `crop_pct` → how to resize; null: so that no size of its own follows. */
function resizeOf(config: Json, defaults: Defaults, notes: string[]): Resize | null {
  const isOn = config.do_resize ?? true;
  if (isOn !== true) return null;
  const size = config.size ?? defaults.size;
  const { shortest_edge, longest_edge } = object(size);
  const edge = isSide(shortest_edge)
    ? shortest_edge
    : isSide(size) && defaults.byShorterSide === true
      ? size
      : null;
  if (edge !== null)
    return { to: 'shorter', edge, ...(isSide(longest_edge) ? { longest: longest_edge } : {}) };
  const frame = frameOf(size);
  if (frame) return { to: 'exact', ...frame };
  notes.push(
    say`preprocessor_config.json's size ${JSON.stringify(size)} leaves pictures of unequal sizes, which cannot be batched; they are resized to the model's size instead.`,
  );
  return null;
}

/** The frame that is cut out, and the resizing before it, of processors that tell both by one number. */
function cropOf(
  config: Json,
  defaults: Defaults,
  resize: Resize | null,
): { readonly resize: Resize | null; readonly crop: Frame | null } {
  const share = isNumber(config.crop_pct) ? config.crop_pct : defaults.cropShare;
  const kind = classOf(config);
  if (kind === 'ConvNext' && resize?.to === 'shorter') {
    // Small sizes are cut out of a larger picture, large ones are squeezed.
    const crop = { width: resize.edge, height: resize.edge };
    if (resize.edge >= 384) return { resize: { to: 'exact', ...crop }, crop: null };
    return { resize: { to: 'shorter', edge: Math.floor(resize.edge / (share ?? 1)) }, crop };
  }
  const isOn = config.do_center_crop ?? defaults.crop !== undefined;
  const crop = isOn === true ? frameOf(config.crop_size ?? defaults.crop) : null;
  if (resize?.to !== 'shorter') return { resize, crop };
  if (kind === 'Levit') return { resize: { ...resize, edge: Math.floor((256 / 224) * resize.edge) }, crop };
  if (kind === 'PoolFormer' && share !== undefined)
    return { resize: { ...resize, edge: Math.floor(resize.edge / share) }, crop };
  return { resize, crop };
}

/** Mean and standard deviation for values of 0 … 1, rescaling included. */
function normalisationOf(config: Json, defaults: Defaults, channels: number, notes: string[]) {
  const rescales = (config.do_rescale ?? true) === true;
  const factor = rescales ? (isNumber(config.rescale_factor) ? config.rescale_factor : 1 / 255) : 1;
  // 0.00392156862745098 means 1 / 255.
  const top = Math.abs(factor * 255 - 1) < 1e-6 ? 1 : factor * 255;
  const offset = rescales && config.rescale_offset === true ? 1 : 0;
  const normalises = (config.do_normalize ?? defaults.mean !== null) === true;
  const perChannel = (name: string, otherwise: readonly number[]): readonly number[] => {
    const value = config[name] ?? otherwise;
    const found = isNumber(value) ? [value] : Array.isArray(value) ? value.filter(isNumber) : [];
    if (found.length === 0)
      return fail(
        'malformed-file',
        say`preprocessor_config.json's ${name} holds no numbers; mend it or leave it out.`,
      );
    if (found.length === channels || new Set(found).size === 1)
      return Array.from({ length: channels }, (_, c) => found[c] ?? found[0]!);
    notes.push(
      say`preprocessor_config.json's ${name} is for ${found.length} channels, the model takes ${channels}; the mean of its numbers is used.`,
    );
    return Array.from({ length: channels }, () => found.reduce((a, b) => a + b, 0) / found.length);
  };
  const mean = normalises ? perChannel('image_mean', defaults.mean ?? HALF) : [];
  const std = normalises ? perChannel('image_std', defaults.std ?? HALF) : [];
  if (std.includes(0))
    fail(
      'malformed-file',
      say`preprocessor_config.json's image_std holds a 0, by which nothing can be divided; mend it.`,
    );
  return {
    mean: Array.from({ length: channels }, (_, c) => ((mean[c] ?? 0) + offset) / top),
    std: Array.from({ length: channels }, (_, c) => (std[c] ?? 1) / top),
  };
}

/** Of what the ONNX file fixes itself. */
export interface PictureInput {
  readonly channels: number;
  /** Null where the file leaves the size open. */
  readonly width: number | null;
  readonly height: number | null;
}

/**
 * @param preprocessor preprocessor_config.json, {} where there is none
 * @param config config.json
 * @throws PapilioError 'malformed-file' and, for sizes beyond what models take, 'too-large'
 */
export function preprocessingOf(preprocessor: Json, config: Json, input: PictureInput): Preprocessing {
  const notes: string[] = [];
  const inner = object(preprocessor.image_processor);
  const own = Object.keys(inner).length > 0 ? inner : preprocessor;
  const given = Object.keys(own).length > 0 ? own : fromTimm(config);
  const steps = given ?? {};
  const defaults = PROCESSORS[classOf(steps)] ?? VIT;
  const { channels } = input;
  const { resize, crop } = cropOf(steps, defaults, resizeOf(steps, defaults, notes));
  const made = crop ?? (resize?.to === 'exact' ? resize : null);
  // Without a config the model's own size is all there is.
  const told = given === null ? null : made;
  const declared = frameOf(config.image_size) ?? frameOf(object(config.vision_config).image_size);
  const size = {
    width: input.width ?? told?.width ?? declared?.width ?? VIT.size,
    height: input.height ?? told?.height ?? declared?.height ?? VIT.size,
  };
  for (const [step, what] of Object.entries(otherSteps()))
    if (steps[step] === true)
      notes.push(say`preprocessor_config.json asks for ${what} (${step}), which is not done.`);
  const fits = told !== null && told.width === size.width && told.height === size.height;
  if (told !== null && !fits)
    notes.push(
      say`preprocessor_config.json makes pictures of ${told.width} × ${told.height}, but the model takes ${size.width} × ${size.height}: the same steps are done at that size.`,
    );
  const fitted = given === null ? fitTo(size, null, null) : fitTo(size, resize, crop);
  requireSmall(size, channels, fitted.resize);
  const { mean, std } = normalisationOf(steps, defaults, channels, notes);
  if (given === null)
    notes.push(
      say`There is no preprocessor_config.json: pictures are resized to ${size.width} × ${size.height} and normalised with mean ${list(mean)} and std ${list(std)}, as ViT's are; put the model's own beside it if it wants others.`,
    );
  return {
    ...size,
    channels,
    ...fitted,
    resample: RESAMPLES[numberFrom(steps.resample ?? -1)] ?? defaults.resample,
    bgr: channels === 3 && (steps.do_flip_channel_order ?? defaults.bgr ?? false) === true,
    mean,
    std,
    notes,
    isAssumed: given !== own || !fits,
  };
}

/** @throws PapilioError 'too-large' for pictures larger than models take */
function requireSmall({ width, height }: Frame, channels: number, resize: Resize | null): void {
  const by = resize?.to === 'exact' ? [resize.width, resize.height] : resize ? [resize.edge] : [];
  for (const side of [width, height, ...by]) within('modelSide', side, say`The model's preprocessing`);
  within('modelPicture', channels * width * height, say`The model's picture`);
}

/** The same steps so that pictures of `size` come out. */
function fitTo(
  size: Frame,
  resize: Resize | null,
  crop: Frame | null,
): Pick<Preprocessing, 'resize' | 'crop'> {
  if (resize?.to === 'shorter' && crop === null)
    // Without a crop pictures keep their shapes; the middle is what all of them have.
    return { resize: { ...resize, edge: Math.max(size.width, size.height) }, crop: true };
  if (crop === null) return { resize: { to: 'exact', ...size }, crop: false };
  if (resize === null) return { resize: null, crop: true };
  const [wider, higher] = [size.width / crop.width, size.height / crop.height];
  if (resize.to === 'shorter')
    return { resize: { ...resize, edge: Math.round(resize.edge * Math.max(wider, higher)) }, crop: true };
  return {
    resize: {
      to: 'exact',
      width: Math.round(resize.width * wider),
      height: Math.round(resize.height * higher),
    },
    crop: true,
  };
}

const list = (values: readonly number[]) =>
  facts([...new Set(values.map((v) => local(String(Number(v.toPrecision(4))))))]);

function resizing(resize: Preprocessing['resize'], resample: string): string {
  if (resize === null) return say`kept at their size`;
  if (resize.to === 'exact') return say`resized to ${resize.width} × ${resize.height} (${resample})`;
  const { edge, longest } = resize;
  return longest === undefined
    ? say`resized to a shorter side of ${edge} (${resample})`
    : say`resized to a shorter side of ${edge}, a longer one of at most ${longest} (${resample})`;
}

/** The steps in one sentence. */
export function describePreprocessing(steps: Preprocessing): string {
  const { width, height, resize, resample, crop, mean, std, bgr } = steps;
  const done = [
    resizing(resize, resample),
    ...(crop ? [say`the middle ${width} × ${height} cut out`] : []),
    ...(bgr ? [say`blue first`] : []),
    say`normalised with mean ${list(mean)} and std ${list(std)}`,
  ];
  return say`Pictures are ${done.join(say`, `)}.`;
}

const sizeConfig = (resize: Resize) =>
  resize.to === 'exact'
    ? { height: resize.height, width: resize.width }
    : {
        shortest_edge: resize.edge,
        ...(resize.longest === undefined ? {} : { longest_edge: resize.longest }),
      };

/** preprocessor_config.json of these steps, for a model that came without one that says them. */
export function preprocessorConfig(steps: Preprocessing): Readonly<Record<string, unknown>> {
  const { width, height, channels, resize, resample, crop, mean, std, bgr } = steps;
  return {
    image_processor_type: 'BitImageProcessor',
    do_resize: resize !== null,
    ...(resize === null ? {} : { size: sizeConfig(resize) }),
    resample: RESAMPLES.indexOf(resample),
    do_center_crop: crop,
    ...(crop ? { crop_size: { height, width } } : {}),
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: mean,
    image_std: std,
    ...(channels === 1 ? { do_convert_rgb: false, do_convert_grayscale: true } : { do_convert_rgb: true }),
    ...(bgr ? { do_flip_channel_order: true } : {}),
  };
}

// Pictures made larger or smaller as Pillow's `Image.resize` does it on bytes (src/libImaging/Resample.c and Geometry.c): filters widened
// when they shrink, coefficients in fixed point, first across, then down, rounded to bytes in between. transformers' image processors
// call just that, so a picture has the same bytes here as there.

/** PIL's filters, at the index that preprocessor_config.json's `resample` uses. */
export const RESAMPLES = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'] as const;
export type Resample = (typeof RESAMPLES)[number];

interface Filter {
  /** Half its width, in pixels of the smaller picture. */
  readonly support: number;
  readonly at: (x: number) => number;
}

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

function cubic(signed: number): number {
  const a = -0.5;
  const x = Math.abs(signed);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

const FILTERS: Readonly<Record<Exclude<Resample, 'nearest'>, Filter>> = {
  box: { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    at: (x) => (Math.abs(x) >= 1 ? 0 : sinc(x) * (0.54 + 0.46 * Math.cos(x * Math.PI))),
  },
  bicubic: { support: 2, at: cubic },
  lanczos: { support: 3, at: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Pillow's PRECISION_BITS: bytes times coefficients of this many binary places fill 32 bits. */
const PRECISION = 2 ** (32 - 8 - 2);

/** Some of the pixels of a side. */
interface Run {
  readonly start: number;
  readonly length: number;
}

/** The part of the resized picture that is wanted. */
export interface Window {
  readonly across: Run;
  readonly down: Run;
}

const whole = (length: number): Run => ({ start: 0, length });

interface Taps {
  readonly first: number;
  /** Fixed point, PRECISION = 1. */
  readonly weights: Float64Array;
}

/** For every wanted output pixel the first input that counts and the weights from there on. */
function tapsOf(from: number, to: number, { start, length }: Run, filter: Filter): Taps[] {
  const scale = from / to;
  const widened = Math.max(1, scale);
  const support = filter.support * widened;
  return Array.from({ length }, (_, i) => {
    const centre = (start + i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    const exact = Float64Array.from({ length: end - first }, (_, k) =>
      filter.at((k + first - centre + 0.5) / widened),
    );
    const sum = exact.reduce((a, b) => a + b, 0);
    const weights = exact.map((w) => {
      const fixed = (sum === 0 ? w : w / sum) * PRECISION;
      return Math.trunc(fixed < 0 ? fixed - 0.5 : fixed + 0.5);
    });
    return { first, weights };
  });
}

const toByte = (sum: number) => Math.min(255, Math.max(0, Math.floor(sum / PRECISION)));

/**
 * One plane of bytes [fromHeight, fromWidth] at another size, or a part of it: what is cut away is never computed, so that a strip of one
 * pixel's width, of which the middle is wanted at a large size, costs no more than that middle.
 *
 * @returns [window's height, window's width]; the same array where nothing changes
 */
export function resample(
  plane: Uint8Array,
  fromWidth: number,
  fromHeight: number,
  width: number,
  height: number,
  how: Resample,
  { across, down }: Window = { across: whole(width), down: whole(height) },
): Uint8Array {
  const isWhole = across.length === width && down.length === height;
  if (isWhole && fromWidth === width && fromHeight === height) return plane;
  if (how === 'nearest' || (fromWidth === width && fromHeight === height))
    return nearest(plane, fromWidth, places(fromWidth, width, across), places(fromHeight, height, down));
  const filter = FILTERS[how];
  // Rows that the wanted ones are made of.
  const vertical = fromHeight === height ? null : tapsOf(fromHeight, height, down, filter);
  const first = vertical ? Math.min(...ends(vertical).map(({ first }) => first)) : down.start;
  const end = vertical
    ? Math.max(...ends(vertical).map((t) => t.first + t.weights.length))
    : first + down.length;
  const rows = narrowed(plane.subarray(first * fromWidth, end * fromWidth), fromWidth, width, across, filter);
  if (!vertical) return rows;
  const out = new Uint8Array(down.length * across.length);
  for (let y = 0; y < down.length; y++) {
    const { first: top, weights } = vertical[y]!;
    for (let x = 0; x < across.length; x++) {
      let sum = PRECISION / 2;
      for (let k = 0; k < weights.length; k++)
        sum += weights[k]! * rows[(top - first + k) * across.length + x]!;
      out[y * across.length + x] = toByte(sum);
    }
  }
  return out;
}

/** Taps move on with their pixels: the outermost tell how far they reach. */
const ends = (taps: readonly Taps[]): readonly Taps[] => [taps[0]!, taps.at(-1)!];

/** Rows at another width. */
function narrowed(plane: Uint8Array, from: number, to: number, across: Run, filter: Filter): Uint8Array {
  if (from === to && across.length === to) return plane;
  const height = plane.length / from;
  const rows = new Uint8Array(height * across.length);
  const taps = from === to ? null : tapsOf(from, to, across, filter);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < across.length; x++) {
      if (!taps) {
        rows[y * across.length + x] = plane[y * from + across.start + x]!;
        continue;
      }
      const { first, weights } = taps[x]!;
      let sum = PRECISION / 2;
      for (let k = 0; k < weights.length; k++) sum += weights[k]! * plane[y * from + first + k]!;
      rows[y * across.length + x] = toByte(sum);
    }
  }
  return rows;
}

/** For every wanted output pixel the input it takes; added up step by step as Pillow does, since ties fall where its sum falls. */
function places(from: number, to: number, { start, length }: Run): Int32Array {
  const scale = from / to;
  const out = new Int32Array(length);
  let at = 0.5 * scale;
  for (let i = 0; i < start; i++) at += scale;
  for (let i = 0; i < length; i++, at += scale) out[i] = Math.min(from - 1, Math.floor(at));
  return out;
}

function nearest(plane: Uint8Array, fromWidth: number, across: Int32Array, down: Int32Array): Uint8Array {
  const out = new Uint8Array(down.length * across.length);
  let at = 0;
  for (const y of down) for (const x of across) out[at++] = plane[y * fromWidth + x]!;
  return out;
}
