/** Classes made by hand: name one, draw a few, repeat. */
import { useState } from 'react';
import { Button } from 'react-aria-components';
import { DRAWING_SIZE } from '../../../app/request.ts';
import { DrawPad } from '../../parts/DrawPad.tsx';
import { GreyPicture } from '../../parts/GreyPicture.tsx';
import { Icon } from '../../parts/Icon.tsx';
import { useChoice, usePage } from '../../usePage.ts';

export function Drawings() {
  const page = usePage();
  const classes = useChoice((s) => s.drawings);
  const [name, setName] = useState('');
  const label = name.trim();
  const add = (pixels: Float32Array) => {
    const known = classes.some((one) => one.label === label);
    page.choice.setState({
      drawings: known
        ? classes.map((one) => (one.label === label ? { ...one, images: [...one.images, pixels] } : one))
        : [...classes, { label, images: [pixels] }],
    });
  };
  return (
    <div className="drawings">
      <label className="field">
        <span className="field-label">Class</span>
        <input
          className="box"
          value={name}
          list="drawn-classes"
          placeholder="a name, e.g. star"
          onChange={(event) => setName(event.target.value)}
        />
        <datalist id="drawn-classes">
          {classes.map((one) => (
            <option key={one.label} value={one.label} />
          ))}
        </datalist>
      </label>
      <DrawPad
        size={DRAWING_SIZE}
        label={`Draw ${label || 'an example'}`}
        action={label === '' ? 'Name the class first' : `Add to ${label}`}
        isDisabled={label === ''}
        onDone={add}
      />
      {classes.map((one) => (
        <div key={one.label} className="drawn-class">
          <b>{one.label}</b> <span className="hint">{one.images.length}</span>
          <Button
            className="icon-button"
            aria-label={`Remove ${one.label}`}
            onPress={() => page.choice.setState({ drawings: classes.filter((other) => other !== one) })}
          >
            <Icon name="trash" />
          </Button>
          <span className="drawn-images">
            {one.images.map((image, i) => (
              <GreyPicture
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
      <p className="hint">
        Two classes with two drawings each are the least; eight or more of each learn well.
      </p>
    </div>
  );
}
