/** Small pictures, pixel by pixel, and a pad to draw one on. */
import { type PointerEvent, useEffect, useRef, useState } from 'react';
import { say } from '../../common.ts';
import { Action } from './Action.tsx';

/** A picture of one or three channels as the model reads it: [channels, height, width], 0 … 1 as floats or 0 … 255 as bytes. */
export function Picture(props: {
  readonly pixels: Float32Array | Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels?: number;
  readonly label: string;
}) {
  const { pixels, width, height, channels = 1, label } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context) return;
    const image = context.createImageData(width, height);
    const scale = pixels instanceof Uint8Array ? 1 : 255;
    const area = width * height;
    for (let i = 0; i < area; i++) {
      for (let c = 0; c < 3; c++)
        image.data[4 * i + c] = pixels[(channels === 3 ? c * area : 0) + i]! * scale;
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }, [pixels, width, height, channels]);
  return (
    <canvas ref={canvas} className="picture" width={width} height={height} role="img" aria-label={label} />
  );
}

const SIDE = 224;
const PEN = 18;
const WHITE_ON_BLACK = { ground: 0, stroke: 1 } as const;

/** size × size, 1 where there is a stroke and 0 where there is none; the browser's smoothing averages what falls into a pixel. */
function readPixels(canvas: HTMLCanvasElement, size: number): Float32Array {
  const small = new OffscreenCanvas(size, size);
  const context = small.getContext('2d', { willReadFrequently: true })!;
  context.imageSmoothingQuality = 'high';
  context.drawImage(canvas, 0, 0, size, size);
  const { data } = context.getImageData(0, 0, size, size);
  return Float32Array.from({ length: size * size }, (_, i) => data[4 * i + 3]! / 255);
}

/** Where the pointer is, in the pad's own pixels. */
function penAt({ currentTarget, clientX, clientY }: PointerEvent<HTMLCanvasElement>): [number, number] {
  const { left, top, width, height } = currentTarget.getBoundingClientRect();
  return [((clientX - left) / width) * SIDE, ((clientY - top) / height) * SIDE];
}

/** A square to draw on, by itself in white on black, read back as a small grey picture, 0 … 1. */
export function DrawPad(props: {
  readonly size: number;
  readonly label: string;
  readonly action: string;
  readonly isDisabled?: boolean;
  readonly keepsDrawing?: boolean;
  readonly tones?: { readonly ground: number; readonly stroke: 0 | 1 };
  readonly onDone: (pixels: Float32Array) => void;
}) {
  const {
    size,
    label,
    action,
    isDisabled = false,
    keepsDrawing = false,
    tones = WHITE_ON_BLACK,
    onDone,
  } = props;
  const { ground, stroke } = tones;
  const canvas = useRef<HTMLCanvasElement>(null);
  const last = useRef<readonly [number, number] | null>(null);
  const [isEmpty, setEmpty] = useState(true);

  const clear = () => {
    canvas.current?.getContext('2d')?.clearRect(0, 0, SIDE, SIDE);
    setEmpty(true);
  };
  const draw = (event: PointerEvent<HTMLCanvasElement>) => {
    if (last.current === null) return;
    const here = penAt(event);
    const context = event.currentTarget.getContext('2d')!;
    context.strokeStyle = stroke === 1 ? '#fff' : '#000';
    context.lineWidth = PEN;
    context.lineCap = 'round';
    context.lineJoin = 'round';
    context.beginPath();
    context.moveTo(...last.current);
    context.lineTo(...here);
    context.stroke();
    last.current = here;
    setEmpty(false);
  };
  return (
    <div className="pad">
      <canvas
        ref={canvas}
        className="pad-canvas"
        style={{
          background: `rgb(${Array(3)
            .fill(Math.round(255 * ground))
            .join(' ')})`,
        }}
        width={SIDE}
        height={SIDE}
        aria-label={label}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          last.current = penAt(event);
          draw(event);
        }}
        onPointerMove={draw}
        onPointerUp={() => {
          last.current = null;
        }}
      />
      <span className="row pad-buttons">
        <Action
          text={action}
          isDisabled={isEmpty || isDisabled}
          onPress={() => {
            const strokes = readPixels(canvas.current!, size);
            onDone(strokes.map((v) => ground + (stroke - ground) * v));
            if (!keepsDrawing) clear();
          }}
        />
        <Action kind="link" text={say`clear`} isDisabled={isEmpty} onPress={clear} />
      </span>
    </div>
  );
}
