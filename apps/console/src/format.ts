const clock = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
const short = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' })

/** In the viewer's own time. */
export const fullTime = (text: string): string => clock.format(new Date(text))
export const shortTime = (text: string): string => short.format(new Date(text))

/** `in 12 min`, `3 h ago`, `now`. */
export function relative(text: string, now: number): string {
  const seconds = Math.round((new Date(text).getTime() - now) / 1000)
  const size = Math.abs(seconds)
  const words = size < 60 ? `${size} s` : size < 3600 ? `${Math.floor(size / 60)} min` : size < 86_400 ? `${Math.floor(size / 3600)} h` : `${Math.floor(size / 86_400)} d`
  if (size < 2) return 'now'
  return seconds >= 0 ? `in ${words}` : `${words} ago`
}

/** Characters that a screen hides or that reorder what stands around them, spelt out. */
export const visible = (text: string): string =>
  text.replaceAll(/(?![\t\n])[\p{Cc}\p{Cf}\p{Co}\p{Cn}\u2028\u2029]/gu, (char) => `⟨U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}⟩`)

export type Fields = Readonly<Record<string, unknown>>
export const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {})
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '')
export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
