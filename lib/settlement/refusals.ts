/** The reason codes of PUBACK and PUBREC that refuse a message. @internal */
export const refusalReasons: ReadonlySet<unknown> = new Set([0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]);

/** @internal */
export const expectedRefusal = 'a reason code that refuses: 0x80, 0x83, 0x87, 0x90, 0x91, 0x97 or 0x99';

/** @internal */
export const unspecifiedError = 0x80;
