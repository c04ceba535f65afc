export interface Assignment {
  readonly name: string
  readonly value: string
}

/** One program (or builtin) that the text would start, after its wrappers are taken off. */
export interface SimpleCommand {
  /** The command word first. Arguments that aren't known exactly stand as they were written. */
  readonly argv: readonly string[]
  /** Set for this command (`FOO=1 ls`, `env FOO=1 ls`), or earlier in the text by a name that may be in the environment already. */
  readonly assignments: readonly Assignment[]
  /** Wrappers outermost first, e.g. ['sudo', 'env', 'sh -c']. */
  readonly via: readonly string[]
  /** Set when run by sudo, doas, su …: the user it runs as, 'root' by default. */
  readonly runAs?: string
  /**
   * Positions in argv that aren't known exactly. Something that may become several words, or none, makes every later
   * position unsure too, and those are listed as well; the argv may then be longer or shorter than shown.
   */
  readonly unknownArguments?: readonly number[]
  /** As written, wrappers included; what a shell inside reads (`sh -c`) is quoted from that shell's text. */
  readonly text: string
}

export interface Redirection {
  readonly access: 'read' | 'write' | 'append'
  readonly path: string
}

/** Something that could run what isn't shown: whoever decides must treat it as "anything". */
export interface Opaque {
  readonly reason: string
  readonly text: string
}

export interface ShellAnalysis {
  readonly commands: readonly SimpleCommand[]
  readonly redirections: readonly Redirection[]
  readonly opaque: readonly Opaque[]
}
