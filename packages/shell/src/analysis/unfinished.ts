import { loadedParser } from '../grammar/parser.js'
import { TooDeep, Unreadable } from '../grammar/raw.js'
import { refuseText } from './text.js'

/**
 * Whether a shell would ask for another line before it runs this text: an open quote, here-document, `for … do`, a last
 * `|` or `\\`. For prompts alone; what runs is what {@link analyseShell} says of the text as a whole.
 *
 * @returns false for what can't be read at all, which analyseShell then refuses
 */
export function isUnfinished(text: string): boolean {
  const parser = loadedParser()
  if (parser === undefined || refuseText(text) !== undefined) return false
  if (/(?:^|[^\\])(?:\\\\)*\\$/.test(text)) return true
  try {
    parser.parse(text, 'bash')
    return false
  } catch (error) {
    return !(error instanceof TooDeep || error instanceof RangeError || error instanceof Unreadable) && parser.isIncomplete(error)
  }
}
