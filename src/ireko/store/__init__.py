"""What we write: where it lies, and the database of images, containers, volumes and intent."""
