/** Classes made by hand: name one, draw a few, repeat. */
import { useState } from 'react';
import { say } from '../../../common.ts';
import { TextField } from '../../parts/Controls.tsx';
import { IconButton } from '../../parts/Icon.tsx';
import { DrawPad, Picture } from '../../parts/Pictures.tsx';
import { useChoice, usePage } from '../../usePage.ts';
import { DRAWING_SIZE } from './choice.ts';

export function Drawings() {
  const page = usePage();
  const classes = useChoice((s) => s.inputs.drawings);
  const [name, setName] = useState('');
  const label = name.trim();
  const add = (pixels: Float32Array) => {
    const known = classes.some((one) => one.label === label);
    page.input({
      drawings: known
        ? classes.map((one) => (one.label === label ? { ...one, images: [...one.images, pixels] } : one))
        : [...classes, { label, images: [pixels] }],
    });
  };
  return (
    <>
      <TextField
        label={say`Class`}
        value={name}
        list="drawn-classes"
        placeholder={say`a name, e.g. star`}
        onText={setName}
      >
        <datalist id="drawn-classes">
          {classes.map((one) => (
            <option key={one.label} value={one.label} />
          ))}
        </datalist>
      </TextField>
      <DrawPad
        size={DRAWING_SIZE}
        label={say`Draw ${label || say`an example`}`}
        action={label === '' ? say`Name the class first` : say`Add to ${label}`}
        isDisabled={label === ''}
        onDone={add}
      />
      {classes.map((one) => (
        <div key={one.label} className="row drawn-class">
          <b>{one.label}</b> <span className="hint">{one.images.length}</span>
          <IconButton
            icon="trash"
            label={say`Remove ${one.label}`}
            onPress={() => page.input({ drawings: classes.filter((other) => other !== one) })}
          />
          <span className="drawn-images">
            {one.images.map((image, i) => (
              <Picture
                // biome-ignore lint/suspicious/noArrayIndexKey: drawings are only ever appended.
                key={i}
                pixels={image}
                width={DRAWING_SIZE}
                height={DRAWING_SIZE}
                label={`${one.label} ${i + 1}`}
              />
            ))}
          </span>
        </div>
      ))}
      <p className="hint">{say`Two classes with two drawings each are the least; eight or more of each learn well.`}</p>
    </>
  );
}
