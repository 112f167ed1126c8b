/** What a rule does to packets that its neighbours would meet too: sums of these say whether passing matters. */
export const ACCEPTS = 1;
export const DENIES = 2;
/** Translates addresses. */
export const NAT = 4;
/** Returns, goes elsewhere for good, hands over, or does what is not known: what stands below is met by others. */
export const TURNS = 8;
/** Marks or rewrites packets that go on. */
export const MARKS = 16;
