/** The same object, which `inspect`, `JSON.stringify` and loggers see nothing of. @internal */
export function hidden<T extends object>(secrets: T): T {
  const properties = Object.entries(secrets).map(([name, value]) => [
    name,
    { value: value as unknown, enumerable: false },
  ]);
  return Object.freeze(Object.defineProperties({}, Object.fromEntries(properties) as PropertyDescriptorMap) as T);
}
