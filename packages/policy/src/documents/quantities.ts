const durationUnits: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 }
const sizeUnits: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  kB: 1000,
  KB: 1000,
  KiB: 1024,
  MB: 1_000_000,
  MiB: 1_048_576,
  GB: 1_000_000_000,
  GiB: 1_073_741_824,
}

/** Seconds of `15m`, `1h30m`, `90s`, `500ms`, `7d`; units from large to small, each once. Undefined when it isn't a duration. */
export function parseDuration(text: string): number | undefined {
  if (text.length > 32) return undefined
  let seconds = 0
  let last = Number.POSITIVE_INFINITY
  let position = 0
  const part = /(\d{1,9})(ms|s|m|h|d)/y
  while (position < text.length) {
    part.lastIndex = position
    const match = part.exec(text)
    const unit = durationUnits[match?.[2] ?? '']
    if (!match || unit === undefined || unit >= last) return undefined
    seconds += Number(match[1]) * unit
    last = unit
    position = part.lastIndex
  }
  return position === 0 ? undefined : seconds
}

/** Bytes of `8KiB`, `1MB`, `512`. Undefined when it isn't a size. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,12}) ?([A-Za-z]{0,3})$/.exec(text)
  const unit = match?.[2] ?? ''
  if (!match || !Object.hasOwn(sizeUnits, unit)) return undefined
  return Number(match[1]) * (sizeUnits[unit] ?? 1)
}
