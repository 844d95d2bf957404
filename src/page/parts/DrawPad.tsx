/** A dark square to draw on with bright strokes, read back as a small grey picture. */
import { type PointerEvent, useRef, useState } from 'react';
import { Button } from 'react-aria-components';

const SIDE = 224;
const PEN = 18;

/** size × size, 0 … 1; the browser's smoothing averages what falls into a pixel. */
function readPixels(canvas: HTMLCanvasElement, size: number): Float32Array {
  const small = new OffscreenCanvas(size, size);
  const context = small.getContext('2d', { willReadFrequently: true })!;
  context.imageSmoothingQuality = 'high';
  context.drawImage(canvas, 0, 0, size, size);
  const { data } = context.getImageData(0, 0, size, size);
  return Float32Array.from({ length: size * size }, (_, i) => data[4 * i]! / 255);
}

export function DrawPad(props: {
  readonly size: number;
  readonly label: string;
  readonly action: string;
  readonly isDisabled?: boolean;
  readonly keepsDrawing?: boolean;
  readonly onDone: (pixels: Float32Array) => void;
}) {
  const { size, label, action, isDisabled = false, keepsDrawing = false, onDone } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const last = useRef<readonly [number, number] | null>(null);
  const [isEmpty, setEmpty] = useState(true);

  const clear = () => {
    canvas.current?.getContext('2d')?.clearRect(0, 0, SIDE, SIDE);
    setEmpty(true);
  };
  const draw = (event: PointerEvent<HTMLCanvasElement>) => {
    if (last.current === null) return;
    const box = event.currentTarget.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * SIDE;
    const y = ((event.clientY - box.top) / box.height) * SIDE;
    const context = event.currentTarget.getContext('2d')!;
    context.strokeStyle = '#fff';
    context.lineWidth = PEN;
    context.lineCap = 'round';
    context.lineJoin = 'round';
    context.beginPath();
    context.moveTo(...last.current);
    context.lineTo(x, y);
    context.stroke();
    last.current = [x, y];
    setEmpty(false);
  };
  return (
    <div className="pad">
      <canvas
        ref={canvas}
        className="pad-canvas"
        width={SIDE}
        height={SIDE}
        aria-label={label}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          const box = event.currentTarget.getBoundingClientRect();
          last.current = [
            ((event.clientX - box.left) / box.width) * SIDE,
            ((event.clientY - box.top) / box.height) * SIDE,
          ];
          draw(event);
        }}
        onPointerMove={draw}
        onPointerUp={() => {
          last.current = null;
        }}
      />
      <span className="pad-buttons">
        <Button
          className="button"
          isDisabled={isEmpty || isDisabled}
          onPress={() => {
            onDone(readPixels(canvas.current!, size));
            if (!keepsDrawing) clear();
          }}
        >
          {action}
        </Button>
        <Button className="text-button" isDisabled={isEmpty} onPress={clear}>
          clear
        </Button>
      </span>
    </div>
  );
}
