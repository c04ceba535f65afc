import type { GeneratedKeyPair } from '@sallyport/ssh-keys'
import type { Check } from '../doctor/check.js'
import type { Listener } from '../doctor/gateway-probes.js'
import type { IssuedCredential } from '../exec/issued-credential.js'
import type { ControlPlane } from '../http/control-plane.js'

/** How a protocol's ordinary clients are pointed at the gateway without touching their command line. */
export interface ClientSetup {
  /** The client says nothing while a command of its waits for approval: `sallyport exec` says it. */
  readonly tellsHolds?: true
  /** Whether a gateway's listener for this protocol answers, as the one it should be. */
  probe(listener: Listener): Promise<Check>
  /** The program that people use, and how it tells its version. */
  readonly program: { readonly name: string; readonly args: readonly string[] }
  /**
   * Variables for the child (undefined takes one away). Files go to `workspace.directory`. The secret may stand in a file,
   * never on a command line, which every process of the machine can read.
   */
  environment(credential: IssuedCredential, workspace: ClientWorkspace): ClientVariables | Promise<ClientVariables>
}

export type ClientVariables = Readonly<Record<string, string | undefined>>

/** What there is for one run of `sallyport exec`, and is gone after it. */
export interface ClientWorkspace {
  /** Mode 0700, removed afterwards. */
  readonly directory: string
  /** Made for this run; its public half went with the request for the credential. */
  readonly key: GeneratedKeyPair
  /** The environment that the child would have without us. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly api: Pick<ControlPlane, 'open'>
}
