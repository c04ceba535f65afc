export interface SshUserName {
  readonly target: string
  /** Undefined: the target's default. */
  readonly login: string | undefined
}

/** `<target>` or `<login>%<target>`. A target's name has no percent sign, so the last one divides. */
export function splitUserName(user: string): SshUserName {
  const at = user.lastIndexOf('%')
  return at < 0 ? { target: user, login: undefined } : { target: user.slice(at + 1), login: user.slice(0, at) }
}
