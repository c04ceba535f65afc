import type { SessionTerms } from './rule.js'

/** What holds when no policy says otherwise. */
export const defaultLimits = {
  ttl_seconds: 3600,
  idle_seconds: 900,
  audit: 'spooled',
  record_result_bytes: 8192,
  record_terminal_bytes: 4_194_304,
  record_input: false,
  record_parameters: true,
  hold_timeout_seconds: 1800,
} as const satisfies SessionTerms & { hold_timeout_seconds: number }

/** Bounds of what a document may ask for, and of the documents themselves. */
export const documentLimits = {
  /** Characters of one file. */
  file_characters: 524_288,
  documents_per_file: 1000,
  /** Errors reported for one file; the rest is noise. */
  errors_per_file: 100,
  /** YAML nesting. */
  depth: 32,
  ttl_max_seconds: 86_400,
  hold_timeout_max_seconds: 7 * 86_400,
  /** An approval that is remembered for longer is a rule that allows. */
  remember_max_seconds: 8 * 3600,
  clock_skew_max_seconds: 300,
  token_age_max_seconds: 86_400,
  record_result_max_bytes: 1_048_576,
  record_terminal_max_bytes: 67_108_864,
  pattern_characters: 512,
} as const
