// Writes the packages into a folder: node build.mjs OUT VERSION PLATFORM=PROGRAM ...
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const [out, version, ...programs] = process.argv.slice(2);
const launcher = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
launcher.version = version;
for (const name in launcher.optionalDependencies) launcher.optionalDependencies[name] = version;

/** Packs a package whose other files `fill` puts into its folder. */
function pack(manifest, fill) {
  const folder = mkdtempSync(join(tmpdir(), "sse-clock-"));
  fill(folder);
  copyFileSync(join(here, "../../LICENSE"), join(folder, "LICENSE"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ ...manifest, ...origin() }, null, 2));
  execFileSync("npm", ["pack", "--silent", "--pack-destination", resolve(out)], { cwd: folder, stdio: "inherit" });
  rmSync(folder, { recursive: true });
}

/** The repository, which npm compares with the origin that a workflow of GitHub proves. */
function origin() {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = process.env;
  return name && { repository: { type: "git", url: `git+${server}/${name}.git` } };
}

mkdirSync(out, { recursive: true });
const others = ["test", "build.mjs"].map((name) => join(here, name));
pack(launcher, (folder) => cpSync(here, folder, { recursive: true, filter: (file) => !others.includes(file) }));
for (const argument of programs) {
  const [platform, program] = argument.split("=");
  const [os, cpu] = platform.split("-");
  const name = os === "win32" ? "sse-clock.exe" : "sse-clock";
  const manifest = {
    name: `@sse-clock/${platform}`,
    version,
    description: `The program of the package sse-clock for ${platform}`,
    license: launcher.license,
    os: [os],
    cpu: [cpu],
    files: ["bin"],
    // Yarn would leave the program in an archive.
    preferUnplugged: true,
  };
  pack(manifest, (folder) => {
    mkdirSync(join(folder, "bin"));
    copyFileSync(program, join(folder, "bin", name));
    chmodSync(join(folder, "bin", name), 0o755);
  });
}
