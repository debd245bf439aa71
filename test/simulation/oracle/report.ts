/** Says that something must not be. The first report ends the run. */
export type Report = (invariant: string, detail: string) => void;
