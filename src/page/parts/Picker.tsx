/** A drop-down list to pick from. */
import {
  Button,
  Label,
  ListBox,
  ListBoxItem,
  Popover,
  Select,
  SelectValue,
  Text,
} from 'react-aria-components';
import { Icon } from './Icon.tsx';

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
  readonly isDisabled?: boolean;
  /** The id of what says more of it. */
  readonly describedBy?: string | undefined;
  readonly onChange: (id: string) => void;
}) {
  const { label, isLabelHidden = false, value, items, isDisabled = false, describedBy, onChange } = props;
  return (
    <Select
      className="picker"
      value={value}
      isDisabled={isDisabled}
      onChange={(key) => onChange(String(key))}
      {...(isLabelHidden ? { 'aria-label': label } : {})}
      {...(describedBy === undefined ? {} : { 'aria-describedby': describedBy })}
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
