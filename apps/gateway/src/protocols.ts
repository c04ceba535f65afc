import type { ProtocolFront } from '@sallyport/kit'
import { postgresFront } from '@sallyport/protocol-postgres/front'
import { kubernetesFront } from '@sallyport/protocol-kubernetes/front'
import { sshFront } from '@sallyport/protocol-ssh/front'

/** A protocol's place in the gateway. */
export interface HostedFront {
  readonly front: ProtocolFront
  /** host:port unless SALLYPORT_GATEWAY_LISTEN_<PROTOCOL> says otherwise. */
  readonly defaultListen: string
}

/** The one list of protocols in this app: a new one is one line here. */
export const protocols: readonly HostedFront[] = [
  { front: postgresFront, defaultListen: '127.0.0.1:6543' },
  { front: sshFront, defaultListen: '127.0.0.1:2222' },
  { front: kubernetesFront, defaultListen: '127.0.0.1:6443' },
]
