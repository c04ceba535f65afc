/** Bounds of what is held in memory while one response is masked. */
export interface MaskLimits {
  /** Bytes of one element: an item of a list, a row of a table, a frame of a watch, or a single object. */
  readonly elementBytes: number
  /** Arrays and objects inside each other. A CustomResourceDefinition with a deep schema has about 100. */
  readonly depth: number
}

export const defaultMaskLimits: MaskLimits = { elementBytes: 8 * 1024 * 1024, depth: 512 }

/** JSON inside strings inside JSON, base64 inside base64: so often it is looked into. Deeper, the whole string is masked. */
export const maxNesting = 4

/** Values of a Secret times characters of an annotation: so much is compared, some tens of milliseconds. */
export const maxComparisons = 100_000_000
