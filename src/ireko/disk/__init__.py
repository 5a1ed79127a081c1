"""Virtual disks, usable alone: no process, no event loop, no hypervisor."""
