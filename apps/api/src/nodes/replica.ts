import { randomUUID } from 'node:crypto'
import { Injectable } from '@nestjs/common'

/** Names this control plane among its replicas, from start to stop. */
@Injectable()
export class Replica {
  readonly id: string = randomUUID()
}
