/** Senders decide how long topics and error texts are: logs and properties do not. @internal */
export function shortened(text: string, mostCharacters: number): string {
  return text.length <= mostCharacters ? text : `${text.slice(0, mostCharacters - 1)}…`;
}
