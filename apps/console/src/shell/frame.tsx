import { ActionIcon, AppShell, Avatar, Burger, Group, Menu, NavLink, Text, useComputedColorScheme, useMantineColorScheme } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { ok } from '@sallyport/api-client'
import { IconChecklist, IconDatabase, IconFileText, IconLogout, IconMoon, IconSearch, IconServer, IconSun, IconTerminal2, IconUsers } from '@tabler/icons-react'
import { useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link, useLocation } from 'wouter'
import { api, type WhoAmI } from '../api.js'
import { has, overseers, readers } from '../roles.js'

const rooms = [
  { path: '/approvals', title: 'Approvals', icon: IconChecklist, for: undefined },
  { path: '/sessions', title: 'Sessions', icon: IconTerminal2, for: undefined },
  { path: '/audit', title: 'Audit', icon: IconSearch, for: overseers },
  { path: '/targets', title: 'Targets', icon: IconDatabase, for: undefined },
  { path: '/agents', title: 'Agents', icon: IconServer, for: undefined },
  { path: '/identities', title: 'Identities', icon: IconUsers, for: overseers },
  { path: '/policies', title: 'Policies', icon: IconFileText, for: readers },
] as const

export function Frame({ me, children }: { readonly me: WhoAmI; readonly children: ReactNode }): ReactNode {
  const [isOpen, { toggle, close }] = useDisclosure(false)
  const [path] = useLocation()
  const mine = rooms.filter((room) => room.for === undefined || has(me, room.for))
  return (
    <AppShell header={{ height: 56 }} navbar={{ width: 208, breakpoint: 'sm', collapsed: { mobile: !isOpen } }} padding="md">
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger opened={isOpen} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Menu" />
            <img src="/icon.svg" alt="" width={26} height={26} />
            <Text fw={700}>Sallyport</Text>
          </Group>
          <Group gap="xs" wrap="nowrap">
            <Theme />
            <Account me={me} />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" component="nav" aria-label="Rooms">
        {mine.map(({ path: to, title, icon: Icon }) => (
          <NavLink key={to} component={Link} href={to} label={title} leftSection={<Icon size={18} aria-hidden />} active={path.startsWith(to)} onClick={close} aria-current={path.startsWith(to) ? 'page' : undefined} />
        ))}
      </AppShell.Navbar>
      <AppShell.Main>{children}</AppShell.Main>
    </AppShell>
  )
}

function Theme(): ReactNode {
  const { setColorScheme } = useMantineColorScheme()
  const isDark = useComputedColorScheme('light') === 'dark'
  return (
    <ActionIcon variant="subtle" color="gray" size="lg" aria-label={isDark ? 'Light colours' : 'Dark colours'} onClick={() => setColorScheme(isDark ? 'light' : 'dark')}>
      {isDark ? <IconSun size={18} /> : <IconMoon size={18} />}
    </ActionIcon>
  )
}

function Account({ me }: { readonly me: WhoAmI }): ReactNode {
  const queries = useQueryClient()
  const signOut = async (): Promise<void> => {
    const { location: next } = await ok(api.POST('/v1/auth/signout'))
    if (next === undefined) await queries.invalidateQueries()
    else location.assign(next)
  }
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size="lg" radius="xl" aria-label={`Signed in as ${me.user}`}>
          <Avatar size={30} radius="xl" color="blue" alt="" />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {me.user} · {me.roles.join(', ')}
        </Menu.Label>
        <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => void signOut()}>Sign out</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
