// The `navarch` command. Each subcommand is one file in commands/, loaded when it is asked for.
import { Command, CommanderError, Option } from 'commander'
import { exitCodes, reportFailure } from './failure.ts'
import { type ServerOption, serverOptions } from './server-options-table.ts'
import { navarchVersion } from './version.ts'

const defaultDataDir = process.env['NAVARCH_DATA_DIR'] ?? '/var/lib/navarch'

function program(): Command {
  const root = new Command('navarch')
    .description('Kubernetes in one small set of processes: creates clusters and runs containerised applications on them.')
    .version(navarchVersion)
    .enablePositionalOptions()
    .showHelpAfterError('(add --help for the options)')
    .exitOverride()
  addUp(root)
  addDown(root)
  addStatus(root)
  addClients(root)
  addImage(root)
  addRoles(root)
  return root
}

const dataDirOption = (): Option => new Option('--data-dir <dir>', "the cluster's data directory").default(defaultDataDir)
const verboseOption = (): Option => new Option('--verbose', 'on failure, show where it came from')

function addUp(root: Command): void {
  root
    .command('up')
    .description('start a one-node cluster, or find it running; returns when the node is Ready and DNS answers')
    .addOption(dataDirOption())
    .option('--name <name>', 'names what the cluster makes on this machine: nftables table, bridge, cgroup')
    .addOption(new Option('--engine <engine>', 'what runs containers').choices(['auto', 'docker', 'containerd', 'fake']))
    .option('--docker-host <url>', 'a Docker Engine: unix:///path or tcp://host:port')
    .option('--cri-endpoint <url>', 'a CRI v1 engine: unix:///path')
    .option('--api-port <port>', 'port of the API server (6443)')
    .option('--node-port-range <from-to>', 'ports for NodePort services (30000-32767)')
    .option('--pod-cidr <cidr>', 'addresses of pods (10.244.0.0/16)')
    .option('--service-cidr <cidr>', 'addresses of services (10.96.0.0/16)')
    .addOption(new Option('--store <store>', 'where the state is kept').choices(['lmdb', 'etcd']))
    .option('--etcd-endpoints <urls>', 'with --store etcd')
    .option('--wait <seconds>', 'how long to wait for Ready; 0 does not wait', '120')
    .option('--foreground', 'stay, and stop the cluster when interrupted')
    .addOption(verboseOption())
    .action(async (options) => (await import('./commands/up.ts')).up(options))
}

function addDown(root: Command): void {
  root
    .command('down')
    .description('stop the cluster: its processes, containers and rules; data is kept')
    .addOption(dataDirOption())
    .option('--purge', 'delete the data directory too')
    .addOption(verboseOption())
    .action(async (options) => (await import('./commands/down.ts')).down(options))
}

function addStatus(root: Command): void {
  root
    .command('status')
    .description('show processes, versions, store, engine, addresses and memory')
    .addOption(dataDirOption())
    .addOption(new Option('--output <format>', 'how to print').choices(['text', 'json']).default('text'))
    .addOption(verboseOption())
    .action(async (options) => (await import('./commands/status.ts')).status(options))
}

function addClients(root: Command): void {
  for (const client of ['kubectl', 'helm'] as const) {
    root
      .command(client)
      .description(`run the real ${client} with this cluster's admin kubeconfig`)
      .addOption(dataDirOption())
      .allowUnknownOption()
      .helpOption(false)
      .passThroughOptions()
      .argument('[args...]')
      .action(async (args: string[], options) => (await import('./commands/clients.ts')).runClient(client, args, options))
  }
}

function addImage(root: Command): void {
  const image = root.command('image').description("images in the node's engine, without internet")
  image
    .command('import <files...>')
    .description('load image archives (OCI or docker save)')
    .addOption(dataDirOption())
    .addOption(verboseOption())
    .action(async (files: string[], options) => (await import('./commands/image.ts')).importFiles(files, options))
  image
    .command('list')
    .description('list images')
    .addOption(dataDirOption())
    .addOption(new Option('--output <format>', 'how to print').choices(['text', 'json']).default('text'))
    .addOption(verboseOption())
    .action(async (options) => (await import('./commands/image.ts')).list(options))
  image
    .command('build <directory>')
    .description("make an image of a directory's files; without --output it goes into the node's engine")
    .addOption(dataDirOption())
    .requiredOption('--tag <image>', 'its full name, such as registry.example/team/web:v1')
    .option('--output <file>', 'write an archive instead')
    .option('--from <archive>', 'an archive with the image to build on')
    .option('--to <path>', 'where the files stand in the image', '/')
    .option('--entrypoint <words...>', 'the program to start')
    .option('--cmd <words...>', 'its arguments')
    .option('--env <name=value...>', 'environment variables')
    .option('--user <user>', 'who it runs as')
    .option('--workdir <path>', 'where it runs')
    .option('--expose <ports...>', 'ports it listens on')
    .addOption(verboseOption())
    .action(async (directory: string, options) => (await import('./commands/image-archives.ts')).build(directory, options))
  image
    .command('push <archive> <image>')
    .description('send the image in an archive to a registry')
    .option('--username <name>', 'who to log in as, with --password-stdin')
    .option('--password-stdin', 'read the password from standard input')
    .option('--plain-http', 'speak HTTP; hosts of this machine are spoken to so anyway')
    .option('--ca <file>', 'certificates of authorities to trust besides the usual ones, in PEM')
    .addOption(verboseOption())
    .action(async (archive: string, name: string, options) => (await import('./commands/image-archives.ts')).push(archive, name, options))
}

function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_dash, letter: string) => letter.toUpperCase())
}

function addServerOption(command: Command, { name, type, value, default: fallback, help }: ServerOption): void {
  const option = new Option(`--${name} <${value}>`, fallback === '' ? help : `${help} (${fallback})`)
  if (type === 'texts' || type === 'files') option.argParser((text: string, before?: string[]) => [...(before ?? []), text])
  command.addOption(option)
}

function addRoles(root: Command): void {
  const server = root
    .command('server')
    .description('run the control plane in the foreground')
    .addOption(dataDirOption())
    .option('--components <names>', 'some of apiserver,controllers,scheduler', 'apiserver,controllers,scheduler')
    .option('--config <file>', 'the options of the API server, by their names, in YAML; flags win over it')
    .addOption(verboseOption())
  for (const each of serverOptions) addServerOption(server, each)
  server.action(async (options) => {
    const flags = Object.fromEntries(serverOptions.map(({ name }) => [name, options[camelCase(name)]]))
    await (await import('./commands/server.ts')).server({ ...options, flags })
  })
  root
    .command('node')
    .description('run a node agent in the foreground')
    .addOption(dataDirOption())
    .addOption(verboseOption())
    .action(async (options) => (await import('./commands/node.ts')).node(options))
}

async function main(): Promise<void> {
  try {
    await program().parseAsync()
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : exitCodes.usage
    else reportFailure(error)
  }
}

void main()
