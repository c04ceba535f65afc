import { ProtocolError } from './errors.js'

/**
 * Settings that a client may give at start-up (as parameters or in `options`). They change how values are shown or how
 * long things may take, nothing that the analysis or the masks rest on. Everything else is refused.
 */
const allowedSettings = new Set([
  'application_name',
  'bytea_output',
  'client_min_messages',
  'datestyle',
  'default_transaction_isolation',
  'default_transaction_read_only',
  'default_transaction_deferrable',
  'extra_float_digits',
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
  'intervalstyle',
  'lock_timeout',
  'search_path',
  'statement_timeout',
  'timezone',
  'transaction_timeout',
])

const utf8Names = new Set(['utf8', 'utf-8', 'unicode', "'utf8'", "'utf-8'"])

/**
 * Checks the parameters of a StartupMessage and returns the settings to be passed to the target (lower-case names).
 * @throws {ProtocolError} naming the parameter and what to do
 */
export function targetSettings(parameters: Readonly<Record<string, string>>): Map<string, string> {
  const settings = new Map<string, string>()
  for (const [name, value] of Object.entries(parameters)) {
    const key = name.toLowerCase()
    if (key === 'user' || key === 'database' || key.startsWith('_pq_.')) continue
    if (key === 'replication') {
      if (isFalse(value)) continue
      throw new ProtocolError('replication connections are not let through: remove "replication" from the connection settings', '0A000')
    }
    if (key === 'options') {
      for (const [setting, given] of parseOptions(value)) take(settings, setting, given)
      continue
    }
    take(settings, key, value)
  }
  return settings
}

function take(settings: Map<string, string>, name: string, value: string): void {
  const key = name.toLowerCase()
  if (key === 'client_encoding') {
    if (utf8Names.has(value.toLowerCase())) return
    throw new ProtocolError('client_encoding must be UTF8: set PGCLIENTENCODING=UTF8 (statements are analysed as UTF-8)', '22023')
  }
  if (key === 'standard_conforming_strings') {
    if (/^(on|true|yes|1)$/i.test(value)) return
    throw new ProtocolError('standard_conforming_strings must be on', '22023')
  }
  if (!allowedSettings.has(key)) {
    throw new ProtocolError(`the startup setting "${name.slice(0, 64)}" is not let through: remove it from the connection settings or PGOPTIONS`, '42501')
  }
  settings.set(key, value)
}

function isFalse(value: string): boolean {
  return /^(off|false|no|0)$/i.test(value)
}

/**
 * `options` as the server splits it: white space separates, a backslash escapes (pg_split_opts); only `-c name=value`,
 * `-cname=value` and `--name=value` are understood.
 */
export function parseOptions(text: string): [string, string][] {
  const words = splitWords(text)
  const settings: [string, string][] = []
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? ''
    let setting: string
    if (word === '-c' || word === '--') {
      index += 1
      setting = words[index] ?? ''
    } else if (word.startsWith('-c')) setting = word.slice(2)
    else if (word.startsWith('--')) setting = word.slice(2)
    else throw new ProtocolError(`the startup option "${word.slice(0, 64)}" is not let through: only -c name=value is`, '42501')
    const equals = setting.indexOf('=')
    if (equals < 1) throw new ProtocolError('a startup option must have the form -c name=value', '42601')
    settings.push([setting.slice(0, equals).replaceAll('-', '_'), setting.slice(equals + 1)])
  }
  return settings
}

function splitWords(text: string): string[] {
  const words: string[] = []
  let word: string | undefined
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charAt(index)
    if (/\s/.test(character)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (character === '\\') {
      index += 1
      word = (word ?? '') + text.charAt(index)
    } else word = (word ?? '') + character
  }
  if (word !== undefined) words.push(word)
  return words
}
