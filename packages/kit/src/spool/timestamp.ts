/** RFC 3339 UTC with microseconds. */
export function timestamp(milliseconds: number): string {
  const whole = Math.floor(milliseconds)
  if (whole !== lastWhole) {
    lastWhole = whole
    lastText = new Date(whole).toISOString().slice(0, -1)
  }
  const micros = Math.floor((milliseconds - whole) * 1000)
  return `${lastText}${micros < 10 ? '00' : micros < 100 ? '0' : ''}${micros}Z`
}

let lastWhole = Number.NaN
let lastText = ''

/** Beyond this, the system's clock was set. */
const setMilliseconds = 50

/** The system's clock with microseconds: what runs on evenly, moved along when the clock is set. */
export function wallClock(): () => number {
  let origin = performance.timeOrigin
  return () => {
    const even = origin + performance.now()
    const set = Date.now() - even
    if (Math.abs(set) < setMilliseconds) return even
    origin += set
    return even + set
  }
}
