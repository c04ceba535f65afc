import { Injectable, RequestMethod, type OnModuleInit } from '@nestjs/common'
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js'
import { DiscoveryService, MetadataScanner } from '@nestjs/core'
import { PERMISSION, type PermissionName } from './permission.js'

export interface RouteInfo {
  readonly controller: string
  readonly handler: string
  readonly method: string
  readonly path: string
  readonly permission: PermissionName | undefined
}

/** Walks every route of the application. The start fails when one states no permission. */
@Injectable()
export class RouteCheck implements OnModuleInit {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
  ) {}

  onModuleInit(): void {
    const open = this.routes().filter((route) => route.permission === undefined)
    if (open.length === 0) return
    throw new Error('these routes state no @Permission: ' + open.map((r) => `${r.controller}.${r.handler} (${r.method} ${r.path})`).join(', '))
  }

  routes(): RouteInfo[] {
    return this.discovery.getControllers().flatMap(({ metatype, instance }) => {
      if (typeof metatype !== 'function' || instance === undefined || instance === null) return []
      const prototype: object = Object.getPrototypeOf(instance)
      return this.scanner.getAllMethodNames(prototype).flatMap((handler): RouteInfo[] => {
        const callback: unknown = Reflect.get(prototype, handler)
        if (typeof callback !== 'function') return []
        const method: unknown = Reflect.getMetadata(METHOD_METADATA, callback)
        if (typeof method !== 'number') return []
        const permission: PermissionName | undefined = Reflect.getMetadata(PERMISSION, callback) ?? Reflect.getMetadata(PERMISSION, metatype)
        const path = [Reflect.getMetadata(PATH_METADATA, metatype), Reflect.getMetadata(PATH_METADATA, callback)].flat().join('/')
        return [{ controller: metatype.name, handler, method: RequestMethod[method] ?? String(method), path, permission }]
      })
    })
  }
}
