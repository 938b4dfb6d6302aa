"""What an exported model takes along as it stands: a program that needs numpy and onnxruntime."""
