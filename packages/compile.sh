# Compiles for a platform. Scripts source this file in the root of the repository.
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
target=$(cd "$target" && pwd)
export CARGO_TARGET_DIR=$target

# Runs a command with the environment that cargo needs for a target: `for_target TRIPLE COMMAND`.
# Debian's toolchain builds std from source, unless the ordinary toolchain has the target.
for_target() {
    local triple=$1
    shift
    local -x CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static"
    local -x CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static"
    local -x CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
    local -x CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
    local -x CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc
    local -x CC_x86_64_pc_windows_gnu=x86_64-w64-mingw32-gcc
    local -x AR_x86_64_pc_windows_gnu=x86_64-w64-mingw32-ar
    if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$triple/lib" ]; then
        local -x PATH=/usr/bin:$PATH RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc
        local -x RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_STD=std,panic_unwind
    fi
    "$@"
}

# Runs cargo for a target: `compile build TRIPLE ARGUMENTS`.
compile() {
    local command=$1 triple=$2
    shift 2
    for_target "$triple" cargo "$command" --locked --release --target "$triple" "$@"
}
