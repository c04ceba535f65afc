import type { IssuedCredential } from '../exec/issued-credential.js'

/** How a protocol's ordinary clients are pointed at the gateway without touching their command line. */
export interface ClientSetup {
  /**
   * Variables for the child (undefined takes one away). Files go to `directory`, which is 0700 and removed afterwards.
   * The secret may stand in a file, never on a command line, which every process of the machine can read.
   */
  environment(credential: IssuedCredential, directory: string): Readonly<Record<string, string | undefined>>
}
