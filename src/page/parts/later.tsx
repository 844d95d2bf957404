/** Parts of a page that come when they are needed. It knows nothing of the page: the labs, which begin with little, have it too. */
import { type ComponentType, lazy, type ReactNode, Suspense } from 'react';

/** The component of this name in a chunk of its own; until that has arrived, `meanwhile` stands in its place. */
export function later<Name extends string, Props extends object>(
  name: Name,
  load: () => Promise<Readonly<Record<Name, ComponentType<Props>>>>,
  meanwhile: ReactNode = null,
): ComponentType<Props> {
  const Part = lazy(async () => ({ default: (await load())[name] as ComponentType<object> }));
  return (props) => (
    <Suspense fallback={meanwhile}>
      <Part {...props} />
    </Suspense>
  );
}
