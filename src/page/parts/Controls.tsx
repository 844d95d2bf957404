/** The controls that features share: boxes with labels, lists to pick from, sliders, switches, folds and explanations. */
import type { ComponentProps, ReactNode } from 'react';
import {
  Button,
  type ButtonProps,
  Label,
  ListBox,
  ListBoxItem,
  Popover,
  Radio,
  RadioGroup,
  Select,
  SelectValue,
  Slider,
  SliderOutput,
  SliderThumb,
  SliderTrack,
  Switch,
  Text,
  Tooltip,
  TooltipTrigger,
} from 'react-aria-components';
import { Icon, type IconName } from './Icon.tsx';

const KINDS = {
  plain: 'button',
  strong: 'button button-strong',
  main: 'button button-train',
  link: 'text-button',
} as const;

/** A button with words: a plain one, the one that is meant, the one that trains, or one that reads as a link. */
export function Action({
  text,
  kind = 'plain',
  icon,
  ...button
}: ButtonProps & {
  readonly text: ReactNode;
  readonly kind?: keyof typeof KINDS;
  readonly icon?: IconName;
}) {
  return (
    <Button className={KINDS[kind]} {...button}>
      {icon === undefined ? null : <Icon name={icon} />}
      {text}
    </Button>
  );
}

export interface PickerItem {
  readonly id: string;
  readonly title: string;
  readonly detail?: string;
}

/** A drop-down list of names, each with an optional second line. */
export function Picker(props: {
  readonly label: string;
  readonly isLabelHidden?: boolean;
  readonly value: string;
  readonly items: readonly PickerItem[];
  readonly onChange: (id: string) => void;
}) {
  const { label, isLabelHidden = false, value, items, onChange } = props;
  return (
    <Select
      className="picker"
      value={value}
      onChange={(key) => onChange(String(key))}
      {...(isLabelHidden ? { 'aria-label': label } : {})}
    >
      {isLabelHidden ? null : <Label className="field-label">{label}</Label>}
      <Button className="picker-button">
        <SelectValue className="picker-value clip">
          {() => <>{items.find(({ id }) => id === value)?.title ?? value}</>}
        </SelectValue>
        <Icon name="chevron" />
      </Button>
      <Popover className="popover" offset={4}>
        <ListBox className="listbox" items={items}>
          {(item) => (
            <ListBoxItem className="listbox-item" id={item.id} textValue={item.title}>
              <Text slot="label">{item.title}</Text>
              {item.detail === undefined ? null : (
                <Text slot="description" className="listbox-detail small">
                  {item.detail}
                </Text>
              )}
            </ListBoxItem>
          )}
        </ListBox>
      </Popover>
    </Select>
  );
}

/** A slider with its label and value. */
export function Range(props: {
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly tip?: ReactNode;
  readonly format?: (value: number) => string;
  readonly onChange: (value: number) => void;
}) {
  const { label, value, min, max, step, tip, format = String, onChange } = props;
  const fill = max > min ? ((value - min) / (max - min)) * 100 : 0;
  return (
    <Slider
      className="range"
      value={value}
      minValue={min}
      maxValue={max}
      step={step}
      isDisabled={max <= min}
      onChange={(next) => onChange(next as number)}
    >
      <span className="range-label">
        <Label>{label}</Label>
        {tip}
      </span>
      <SliderTrack className="range-track">
        <span className="range-fill" style={{ width: `${fill}%` }} />
        <SliderThumb className="range-thumb" />
      </SliderTrack>
      <SliderOutput className="range-value">{() => format(value)}</SliderOutput>
    </Slider>
  );
}

/** A switch with words beside it. */
export function Toggle(props: {
  readonly id?: string;
  readonly label?: string;
  readonly isOn: boolean;
  readonly onChange: (isOn: boolean) => void;
  readonly children: ReactNode;
}) {
  const { id, label, isOn, onChange, children } = props;
  return (
    <Switch
      className="switch"
      isSelected={isOn}
      onChange={onChange}
      {...(id === undefined ? {} : { id })}
      {...(label === undefined ? {} : { 'aria-label': label })}
    >
      <span className="switch-track" />
      {children}
    </Switch>
  );
}

/** A few choices side by side, each with an optional second line. */
export function Segments<T extends string>(props: {
  readonly label: string;
  readonly value: T;
  readonly items: readonly { readonly id: T; readonly title: string; readonly detail?: string | undefined }[];
  readonly onChange: (id: T) => void;
}) {
  const { label, value, items, onChange } = props;
  return (
    <RadioGroup className="segments" aria-label={label} value={value} onChange={(id) => onChange(id as T)}>
      {items.map(({ id, title, detail }) => (
        <Radio key={id} value={id} className="segment">
          {title}
          {detail === undefined ? null : <small className="segment-size tabular">{detail}</small>}
        </Radio>
      ))}
    </RadioGroup>
  );
}

/** A box for one line with its label above it and, where there is one, a word below; children come last. */
export function TextField({
  label,
  hint,
  isNumber = false,
  className = 'field',
  onText,
  children,
  ...input
}: Omit<ComponentProps<'input'>, 'onChange'> & {
  readonly label: string;
  readonly hint?: ReactNode;
  readonly isNumber?: boolean;
  readonly onText: (text: string) => void;
}) {
  return (
    <label className={className}>
      <span className="field-label">{label}</span>
      <input
        className={isNumber ? 'box box-number' : 'box'}
        {...input}
        onChange={(event) => onText(event.target.value)}
      />
      {hint === undefined ? null : <span className="hint">{hint}</span>}
      {children}
    </label>
  );
}

/** A box that is ticked or not, with its words. */
export function Check(props: {
  readonly isOn: boolean;
  readonly isDisabled?: boolean;
  readonly className?: string;
  readonly onChange: (isOn: boolean) => void;
  readonly children: ReactNode;
}) {
  const { isOn, isDisabled = false, className = 'check', onChange, children } = props;
  return (
    <label className={className}>
      <input
        type="checkbox"
        checked={isOn}
        disabled={isDisabled}
        onChange={(event) => onChange(event.target.checked)}
      />
      {children}
    </label>
  );
}

/** What is rarely needed, folded away under a line that says what it is. */
export function Fold(props: {
  readonly summary: ReactNode;
  readonly isOpen?: boolean;
  readonly children: ReactNode;
}) {
  return (
    <details className="fold advanced" open={props.isOpen}>
      <summary>
        <Icon name="chevron" /> {props.summary}
      </summary>
      {props.children}
    </details>
  );
}

/** A small "i" with an explanation that opens on hover and focus. */
export function Tip({ about, children }: { readonly about: string; readonly children: ReactNode }) {
  return (
    <TooltipTrigger delay={250} closeDelay={80}>
      <Button className="tip-button" aria-label={`About ${about}`}>
        <Icon name="info" />
      </Button>
      <Tooltip className="tip" offset={6}>
        {children}
      </Tooltip>
    </TooltipTrigger>
  );
}
